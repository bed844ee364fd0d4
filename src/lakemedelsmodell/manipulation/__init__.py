"""What a centre can gain by how it prescribes and lists, what it costs, how to defend and how to see it."""

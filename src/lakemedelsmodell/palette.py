"""Colours of every figure: today's model amber and hollow, the proposal blue and filled.

So they are told apart by eyes that do not see colours, and in greyscale print, where amber and blue are equally dark.
"""

TODAY_COLOUR, PROPOSAL_COLOUR, OTHER_COLOUR, INK = "#b5500c", "#1b5e9b", "#5d6875", "#1d2733"
FAINT_COLOUR = "#9aa4af"
"""What is beaten or beside the point."""

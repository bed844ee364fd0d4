"""The monthly payment: what each centre is paid for one month, in öre, and why it differs from last month.

``month`` counts a month's listings and pays them by a frozen amount table; ``changes`` says why a centre gets more or
less than the month before; ``folder`` writes the payment folder and compares it with earlier ones; ``script`` writes
the same payment as SQL for a data warehouse.
"""

from lakemedelsmodell.payment.changes import Changes, changes_between
from lakemedelsmodell.payment.folder import PaymentFolder, payment_run
from lakemedelsmodell.payment.month import Payment, pay
from lakemedelsmodell.payment.script import DIALECTS, payment_sql

__all__ = ["DIALECTS", "Changes", "Payment", "PaymentFolder", "changes_between", "pay", "payment_run", "payment_sql"]

"""One power budget for several nodes: who may use how much of it, as pure decisions.

No clock, no network: times are passed in, and the shared ledger goes in and comes out as a value.
Why it is safe stands in docs/decisions/0016.
"""

from app.site.ledger import Entry, Ledger, NewerLedgerError, read_ledger
from app.site.member import Holding, Member, Terms

__all__ = ["Entry", "Holding", "Ledger", "Member", "NewerLedgerError", "Terms", "read_ledger"]

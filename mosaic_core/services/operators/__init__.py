"""What operators read, of any household, and the one thing that they settle: a signal.

Ids, codes and times; what a member said or asked for is the household's own and stays so. Nothing here scans: the
decision record on operators' reads says which row serves which question.
"""

from mosaic_core.services.operators.operator_service import OperatorService

__all__ = ["OperatorService"]

"""Dead letters, and their replay by the runbook: the same request under a new command id, once, audited."""

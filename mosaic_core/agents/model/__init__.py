"""The model-driven conversation agent, on Microsoft Agent Framework.

The model chooses tools and words. Figures come from tools over the household's own rows and are checked again in the
text (`grounding`); actions come out as proposals that nothing here can carry out (`proposals`); what it may spend is
counted by us (`budget`). docs/adr/0013-agent-framework.md has the reasons.
"""

from __future__ import annotations

from mosaic_core.agents.model.model_agent import TOKEN_SCOPE, ModelAgent

__all__ = ["TOKEN_SCOPE", "ModelAgent"]

"""What can be known of a household's ledger: its rows, merchants, topics, figures, series, transfers, categories and
anomalies. Pure: no words of a question, no agent, no storage.

Both agents, the nightly sweep and ingestion compute with it; it knows none of them."""

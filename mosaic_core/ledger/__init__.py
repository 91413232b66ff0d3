"""What can be known of a household's ledger: its rows, merchants, topics, figures, series, transfers, categories and
anomalies. Pure: of a question's words only those for times and amounts, no agent, no storage.

Both agents, the nightly sweep and ingestion compute with it; it knows none of them."""

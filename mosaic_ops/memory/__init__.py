"""The ports in memory, for tests and benchmarks: held by the same contract tests as the real adapters."""

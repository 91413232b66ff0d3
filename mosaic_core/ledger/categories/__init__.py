"""The sixteen categories: what says that a row is of one, and what people call them. What is known stands as text
beside the code."""

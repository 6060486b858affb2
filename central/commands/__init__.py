"""The words of the centre's command line: one module a word, each with its options beside what it does."""

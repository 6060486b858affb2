"""What each word of the command line does: one module a word, each with its options beside what it does."""

"""The command line: one module a subcommand. Nothing heavy is imported before a command runs."""

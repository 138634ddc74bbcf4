"""What tests/bench/bench is made of: the peers, the tools, the accounting, the report."""

"""The public HTTP endpoint: OpenAI's shapes, JWTs, and one queue behind them."""

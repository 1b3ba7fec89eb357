"""A Feishu Bitable table as a target: cell shapes, field strategies, and the calls of one board."""

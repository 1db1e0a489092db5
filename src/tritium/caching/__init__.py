"""The response cache: what a model answered once is not computed again."""

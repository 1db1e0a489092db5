"""Models of training frameworks as models that any server can run."""

"""A live executor, made up but faithful: the logs it would write, for demos, load tests and acceptance. Pure."""

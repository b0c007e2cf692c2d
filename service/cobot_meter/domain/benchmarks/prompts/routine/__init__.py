"""The items of cobot-bench-routine-70: what is asked all day, and can be judged without a model."""

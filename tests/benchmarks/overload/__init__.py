"""`make bench-overload`: each overload policy at three times the capacity, a flood beside others, Kafka away."""

//! One thread computes on the models, and the requests of many callers share its steps.

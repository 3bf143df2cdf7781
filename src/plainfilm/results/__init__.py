"""The results that plainfilm writes as JSON, as frozen types: the only place where their keys are named and explained."""

"""Metrics of its own; OUT tells as JSON what the calls gave."""

import json

import numpy as np

import triton_python_backend_utils as pb_utils


def outcome(function, *arguments, **keywords):
    try:
        found = function(*arguments, **keywords)
        return found if found is None or isinstance(found, float) else type(found).__name__
    except Exception as error:
        return [type(error).__name__, str(error)]


class TritonPythonModel:
    def initialize(self, args):
        family = pb_utils.MetricFamily  # which pb_utils has not while a configuration is completed
        self.counters = family(name="parity_seen", description="requests seen", kind=family.COUNTER)
        self.gauges = family("parity_level", 'a "level"', family.GAUGE)
        self.seen = self.counters.Metric(labels={"model": "measured", "quoted": 'a"b\\c'})
        self.plain = self.counters.Metric(labels={})
        self.level = self.gauges.Metric({"a": "1"})

    def execute(self, requests):
        family = pb_utils.MetricFamily
        found = []
        for _ in requests:
            self.seen.increment(1)
            self.seen.increment(0.5)
            self.level.set(7.25)
            self.level.increment(-2)
            found = [
                outcome(self.seen.value),
                outcome(self.plain.value),
                outcome(self.level.value),
                outcome(family, "parity_seen", "other", family.GAUGE),
                [family.COUNTER == family.COUNTER, family.GAUGE == family.COUNTER],
            ]
        text = np.array([json.dumps(found)], np.object_)
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", text)]) for _ in requests]

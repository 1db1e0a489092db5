"""Count, mean, deviation and extremes of a sensor's readings so far: a Triton Python model with numpy alone.

A sensor is a sequence. What is known of it stays in this process, for a sequence keeps its model instance.
"""

import json
import math
import time
from collections import OrderedDict

import numpy as np
import triton_python_backend_utils as pb_utils


class Statistics:
    """By Welford's method, which stays exact however large the mean is beside the deviation."""

    def __init__(self):
        self.count = 0
        self.mean = 0.0
        self.squares = 0.0  # sum of the squared distances to the mean
        self.lowest = math.inf
        self.highest = -math.inf

    def add(self, reading):
        self.count += 1
        distance = reading - self.mean
        self.mean += distance / self.count
        self.squares += distance * (reading - self.mean)
        self.lowest = min(self.lowest, reading)
        self.highest = max(self.highest, reading)

    def outputs(self):
        deviation = math.sqrt(self.squares / (self.count - 1)) if self.count > 1 else 0.0
        numbers = {"MEAN": self.mean, "DEVIATION": deviation, "LOWEST": self.lowest, "HIGHEST": self.highest}
        tensors = [pb_utils.Tensor("COUNT", np.array([[self.count]], np.int64))]
        return tensors + [pb_utils.Tensor(name, np.array([[number]])) for name, number in numbers.items()]


class TritonPythonModel:
    def initialize(self, args):
        batching = json.loads(args["model_config"])["sequence_batching"]
        self.idle_s = int(batching["max_sequence_idle_microseconds"]) / 1e6
        self.sensors = OrderedDict()  # id -> when it last spoke, and its statistics; who spoke last is last

    def execute(self, requests):
        responses = [self.take(request) for request in requests]
        self.forget()
        return responses

    def take(self, request):
        sensor = request.correlation_id()
        if control(request, "START"):
            self.sensors.pop(sensor, None)
        statistics = self.sensors[sensor][1] if sensor in self.sensors else Statistics()
        statistics.add(float(pb_utils.get_input_tensor_by_name(request, "READING").as_numpy()[0, 0]))
        if control(request, "END"):
            self.sensors.pop(sensor, None)
        else:
            self.sensors[sensor] = (time.monotonic(), statistics)
            self.sensors.move_to_end(sensor)
        return pb_utils.InferenceResponse(statistics.outputs())

    def forget(self):
        """Drop sensors that went silent: the server has forgotten them, and does not tell."""
        while self.sensors:
            sensor, (spoke, _) = next(iter(self.sensors.items()))
            if time.monotonic() - spoke < 2 * self.idle_s:
                return
            del self.sensors[sensor]


def control(request, name):
    return bool(pb_utils.get_input_tensor_by_name(request, name).as_numpy()[0, 0])

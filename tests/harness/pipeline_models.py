"""Python models that ask other models, answer by response senders, or run as coroutines."""

from __future__ import annotations

# Asks the model that the parameter ``model`` names for OUT of IN, and answers the same or its error.
CALLER = """
class TritonPythonModel:
    def execute(self, requests):
        return [self.one(request) for request in requests]

    def one(self, request):
        asked = json.loads(request.parameters())
        inner = pb_utils.InferenceRequest(
            model_name=asked.get("model", "plain"),
            model_version=asked.get("version", -1),
            requested_output_names=[asked.get("output", "OUT")],
            inputs=[pb_utils.Tensor("IN", values(request))],
            parameters={"via": "caller"},
        )
        if asked.get("how") == "stream":
            responses = list(inner.exec(decoupled=True))
            return answer(np.array([[len(responses), *[r.output_tensors()[0].as_numpy().flat[0]
                for r in responses if r.output_tensors()]]], np.float32))
        response = inner.exec()
        if response.has_error():
            return pb_utils.InferenceResponse(error=response.error())
        return answer(pb_utils.get_output_tensor_by_name(response, "OUT").as_numpy())
"""

# Asks ``plain`` three times side by side and answers the sum.
ASYNC_CALLER = """
import asyncio
class TritonPythonModel:
    async def execute(self, requests):
        return [await self.one(request) for request in requests]

    async def one(self, request):
        asked = [
            pb_utils.InferenceRequest(
                model_name="plain",
                requested_output_names=["OUT"],
                inputs=[pb_utils.Tensor("IN", values(request) * factor)],
            ).async_exec()
            for factor in (1, 10, 100)
        ]
        responses = await asyncio.gather(*asked)
        return answer(sum(r.output_tensors()[0].as_numpy() for r in responses))
"""

# IN = n: sends 0, 1, ... n - 1, one response each, and then the final flag. n < 0 sends an error.
REPEAT = """
class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            count = int(values(request).max())
            if count < 0:
                sender.send(pb_utils.InferenceResponse(error=pb_utils.TritonError("told so", 3)), 1)
                continue
            for i in range(count):
                sender.send(answer(np.array([[i]], np.float32)))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""

# As REPEAT, from a thread of its own, after execute has returned.
LATER = """
import threading
class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            threading.Thread(target=self.send, args=(request.get_response_sender(), values(request))).start()

    def send(self, sender, count):
        for i in range(int(count.max())):
            time.sleep(0.005)
            sender.send(answer(np.array([[i]], np.float32)))
        sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""

# Waits for IN seconds without holding up others.
NAPPING = """
import asyncio
class TritonPythonModel:
    async def execute(self, requests):
        await asyncio.sleep(max(float(values(request).max()) for request in requests))
        return [answer(values(request)) for request in requests]
"""

# Default mode: answers by a response sender, at once (IN = 0), from a thread (IN = 1), or never (IN = 2).
SENDING = """
import threading
class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            how = int(values(request).flat[0])
            sender = request.get_response_sender()
            if how == 0:
                sender.send(answer(values(request)), pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
            elif how == 1:
                threading.Thread(target=self.later, args=(sender, values(request))).start()
        return [None] * len(requests)

    def later(self, sender, array):
        time.sleep(0.05)
        sender.send(answer(array), pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""

# Counts the requests and shows the count; IN = -1 defines a family of another kind, which is refused.
COUNTING_METRICS = """
class TritonPythonModel:
    def initialize(self, args):
        self.family = pb_utils.MetricFamily(
            name="requests_seen", description="Requests\\nseen", kind=pb_utils.MetricFamily.COUNTER
        )
        self.seen = self.family.Metric(labels={"model": args["model_name"], "quoted": 'a"b'})
        sizes = pb_utils.MetricFamily(
            name="request_size", description="sizes", kind=pb_utils.MetricFamily.HISTOGRAM
        )
        self.sizes = sizes.Metric(labels={}, buckets=[1.0, 10.0])

    def execute(self, requests):
        for request in requests:
            if values(request).min() == -1:
                pb_utils.MetricFamily(name="requests_seen", description="", kind=pb_utils.MetricFamily.GAUGE)
            if values(request).min() == -2:
                self.seen.increment(-1)
            self.seen.increment(1)
            self.sizes.observe(values(request).size)
        return [answer(np.array([[self.seen.value()]], np.float32)) for _ in requests]
"""

# Asks the model of the parameter ``next``, passing on what is left of it after the first comma.
CHAIN = """
class TritonPythonModel:
    def execute(self, requests):
        return [self.one(request) for request in requests]

    def one(self, request):
        name, _, rest = json.loads(request.parameters()).get("next", "").partition(",")
        if not name:
            return answer(values(request))
        response = pb_utils.InferenceRequest(
            model_name=name,
            requested_output_names=["OUT"],
            inputs=request.inputs(),
            parameters={"next": rest},
        ).exec()
        if response.has_error():
            return pb_utils.InferenceResponse(error=response.error())
        return answer(response.output_tensors()[0].as_numpy())
"""

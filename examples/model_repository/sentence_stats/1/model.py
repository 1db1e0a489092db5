"""Characters, words, sentences and the longest word of texts: a Triton Python model with numpy alone."""

import re

import numpy as np
import triton_python_backend_utils as pb_utils

WORD = re.compile(r"\w+(?:['’-]\w+)*")  # noqa: RUF001 (a typographic apostrophe is part of a word too)
SENTENCE_END = re.compile(r"[.!?…]+(?=\s|$)")
COUNTS = ("CHARACTERS", "WORDS", "SENTENCES")


def statistics(text):
    """Characters, words and sentences of one text, and its longest word (the first of equals)."""
    words = WORD.findall(text)
    rest = SENTENCE_END.sub("\n", text).rstrip("\n")
    sentences = sum(1 for part in rest.split("\n") if part.strip())
    return len(text), len(words), sentences, max(words, key=len, default="")


class TritonPythonModel:
    def initialize(self, args):
        self.logger = pb_utils.Logger
        self.logger.log_info(f"{args['model_name']} version {args['model_version']} counts")

    def execute(self, requests):
        """One response per request; a text that is not UTF-8 is an error of its request alone."""
        return [self._respond(request) for request in requests]

    def _respond(self, request):
        texts = pb_utils.get_input_tensor_by_name(request, "TEXT").as_numpy()
        try:
            rows = [statistics(text.decode("utf-8")) for text in texts.reshape(-1)]
        except UnicodeDecodeError as error:
            message = f"TEXT must be UTF-8: {error}"
            return pb_utils.InferenceResponse(
                error=pb_utils.TritonError(message, pb_utils.TritonError.INVALID_ARG)
            )
        tensors = [
            pb_utils.Tensor(name, np.array([row[i] for row in rows], dtype=np.int32).reshape(texts.shape))
            for i, name in enumerate(COUNTS)
        ]
        longest = np.array([row[3].encode("utf-8") for row in rows], dtype=object).reshape(texts.shape)
        tensors.append(pb_utils.Tensor("LONGEST_WORD", longest))
        return pb_utils.InferenceResponse(output_tensors=tensors)

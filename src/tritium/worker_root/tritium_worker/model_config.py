"""``pb_utils.ModelConfig``: the configuration that ``auto_complete_config`` fills in."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Tuple

_UNSET_TYPES = (None, "TYPE_INVALID")


class ModelConfig:
    """A model configuration under completion.

    The configuration file wins: what it says can be confirmed, not changed, except that ``max_batch_size``
    may grow. Conflicts raise ValueError with Triton's texts.

    Args:
        model_config: JSON, as the ``/config`` endpoint shows it.
    """

    def __init__(self, model_config: str) -> None:
        self._config: Dict[str, Any] = json.loads(model_config)

    def as_dict(self) -> Dict[str, Any]:
        """The configuration itself, not a copy."""
        return self._config

    @property
    def _name(self) -> str:
        return str(self._config.get("name", ""))

    def set_max_batch_size(self, max_batch_size: int) -> None:
        """Set the largest batch.

        Raises:
            ValueError: it is smaller than what the configuration says.
        """
        configured = self._config.get("max_batch_size", 0)
        if configured > max_batch_size:
            raise ValueError(
                f"configuration specified max_batch_size {configured}, but in auto-complete-config function "
                f"for model '{self._name}' specified max_batch_size {max_batch_size}"
            )
        self._config["max_batch_size"] = max_batch_size

    def set_dynamic_batching(self) -> None:
        """Use the dynamic batcher; its settings in the configuration stay.

        Raises:
            ValueError: the configuration has another scheduler.
        """
        for choice in ("sequence_batching", "ensemble_scheduling"):
            if choice in self._config:
                raise ValueError(
                    f"Configuration specified scheduling_choice as '{choice}', but auto-complete-config "
                    f"function for model '{self._name}' tries to set scheduling_choice as 'dynamic_batching'"
                )
        self._config.setdefault("dynamic_batching", {})

    def set_model_transaction_policy(self, transaction_policy_dict: Dict[str, Any]) -> None:
        """Set ``{"decoupled": bool}``.

        Raises:
            ValueError: another key, or the configuration says otherwise.
        """
        for key in transaction_policy_dict:
            if key != "decoupled":
                raise ValueError(
                    "model transaction property in auto-complete-config function for model "
                    f"'{self._name}' contains property other than 'decoupled'."
                )
        policy = self._config.setdefault("model_transaction_policy", {})
        for decoupled in transaction_policy_dict.values():
            configured = policy.setdefault("decoupled", decoupled)
            if configured != decoupled:
                raise ValueError(
                    f"trying to change decoupled property in auto-complete-config for model '{self._name}', "
                    f"which is already set to '{configured}'."
                )

    def add_input(self, input: Dict[str, Any]) -> None:
        """Add or confirm an input: ``{"name", "data_type", "dims"}`` and perhaps ``"optional"``.

        Raises:
            ValueError: a key is missing or unknown, or the configuration says otherwise.
        """
        self._add("input", input, ("name", "data_type", "dims", "optional"))

    def add_output(self, output: Dict[str, Any]) -> None:
        """Add or confirm an output: ``{"name", "data_type", "dims"}``.

        Raises:
            ValueError: a key is missing or unknown, or the configuration says otherwise.
        """
        self._add("output", output, ("name", "data_type", "dims"))

    def _add(self, kind: str, tensor: Dict[str, Any], allowed: Tuple[str, ...]) -> None:
        self._check_keys(kind, tensor, allowed)
        declared: List[Dict[str, Any]] = self._config.setdefault(kind, [])
        for known in declared:
            if known.get("name") == tensor["name"]:
                self._confirm(kind, known, tensor)
                return
        declared.append({key: tensor[key] for key in allowed if key in tensor})

    def _check_keys(self, kind: str, tensor: Dict[str, Any], allowed: Tuple[str, ...]) -> None:
        subject = f"{kind} '{tensor['name']}'" if "name" in tensor else kind
        where = f"{subject} in auto-complete-config function for model '{self._name}'"
        if any(key not in allowed for key in tensor):
            names = ", ".join(f"'{key}'" for key in allowed[:-1])
            raise ValueError(f"{where} contains property other than {names} and '{allowed[-1]}'.")
        for key in ("name", "data_type", "dims"):
            if key not in tensor:
                raise ValueError(f"{where} is missing '{key}' property.")

    def _confirm(self, kind: str, known: Dict[str, Any], tensor: Dict[str, Any]) -> None:
        """Fill what the configuration left open in ``known``; raise where the two differ."""
        if known.get("data_type") in _UNSET_TYPES:
            known["data_type"] = tensor["data_type"]
        elif known["data_type"] != tensor["data_type"]:
            raise ValueError(
                f"unable to load model '{self._name}', configuration expects datatype {known['data_type']} "
                f"for {kind} '{tensor['name']}', model provides {tensor['data_type']}"
            )
        # The configuration's JSON may carry 64-bit integers as text.
        configured = [int(size) for size in known.get("dims") or ()]
        if not configured:
            known["dims"] = tensor["dims"]
        elif configured != [int(size) for size in tensor["dims"]]:
            raise ValueError(self._mismatch(tensor, "dims", configured))
        if "optional" in tensor:
            optional = known.setdefault("optional", tensor["optional"])
            if optional != tensor["optional"]:
                raise ValueError(self._mismatch(tensor, "optional", optional))

    def _mismatch(self, tensor: Dict[str, Any], key: str, configured: Any) -> str:
        return (
            f"model '{self._name}', tensor '{tensor['name']}': the model expects {key} {tensor[key]} but the "
            f"model configuration specifies {key} {configured}"
        )

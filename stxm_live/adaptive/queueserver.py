"""A chosen region as a stack in the queue of a bluesky-queueserver."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stxm_live.core.region import Region
from stxm_live.live.remote.addresses import checked_address
from stxm_live.live.remote.asking import answer_of

ADDRESS_VARIABLE = "QSERVER_ZMQ_CONTROL_ADDRESS"
KEY_VARIABLE = "QSERVER_ZMQ_PUBLIC_KEY"
"""Environment variables, as the queue server's own programs read them."""


@dataclass(frozen=True)
class Queue:
    """The queue of a RE Manager, and the arguments of its stacks.

    Parameters
    ----------
    address : str
        Address of the manager's control socket, such as "127.0.0.1:60615".
    arguments : mapping
        Arguments of the plan besides the region: names of the devices, ``energies_ev``,
        ``shutter``. Names are those of the manager's environment.
    plan : str
        Name of the plan there; it takes the arguments of `stxm_stack_remote`.
    user, group : str
        User and group of the submission.
    public_key : str, optional
        Key of a manager that encrypts.
    timeout_s : float
    allow_network : bool
        Accept an address that other machines can reach.

    Examples
    --------
    >>> queue = Queue(arguments={"detector": "image", "energy": "energy", "energies_ev": [505.0]})
    >>> queue.item(Region((0, 2), (0, 1), nx=5, ny=3))["kwargs"]["nx"]
    5
    """

    address: str = "127.0.0.1:60615"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    plan: str = "stxm_stack_remote"
    user: str = "stxm_live"
    group: str = "primary"
    public_key: str | None = None
    timeout_s: float = 5.0
    allow_network: bool = False

    def __post_init__(self) -> None:
        checked_address(self.address, allow_network=self.allow_network)

    @classmethod
    def configured(cls, arguments: Mapping[str, Any], **options: Any) -> Queue | None:
        """Return the queue that the environment names, or None.

        ``QSERVER_ZMQ_CONTROL_ADDRESS`` is its address, ``QSERVER_ZMQ_PUBLIC_KEY`` its key.
        """
        address = os.environ.get(ADDRESS_VARIABLE)
        if not address:
            return None
        key = os.environ.get(KEY_VARIABLE) or None
        return cls(address, arguments, public_key=key, **options)

    def item(self, region: Region) -> dict[str, Any]:
        """Return the queue item of a region, JSON-clean."""
        why = {"by": "person", "criterion": region.criterion, "reason": region.reason}
        own = dict(self.arguments)
        md = {**own.pop("md", {}), "chosen": why}
        where = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in region.plan_arguments().items()
        }
        return {"item_type": "plan", "name": self.plan, "kwargs": {**own, **where, "md": md}}

    def submit(self, region: Region) -> str:
        """Add the region at the end of the queue and return the item's uid.

        The operators of the queue decide whether and when it is run.

        Raises
        ------
        ValueError
            If the manager refuses it, because of an unknown plan or device or a wrong argument, or
            gives an answer that is none.
        TimeoutError
            If the manager does not answer.
        """
        request = {"item": self.item(region), "user": self.user, "user_group": self.group}
        answer = self.ask("queue_item_add", request)
        if not answer.get("success"):
            raise ValueError(f"{self.address} refuses the stack: {str(answer.get('msg'))[:500]}")
        item = answer.get("item")
        if not isinstance(item, dict) or not isinstance(item.get("item_uid"), str):
            raise ValueError(f"{self.address} does not say under which uid it has the stack")
        return str(item["item_uid"])

    def ask(self, method: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the manager's answer to one of its API's methods, such as "status".

        Raises
        ------
        TimeoutError
            If it does not answer.
        ValueError
            If its answer is no JSON object.
        """
        question = json.dumps({"method": method, "params": dict(values)}).encode()
        address = checked_address(self.address, allow_network=self.allow_network)
        try:
            answer = answer_of(
                address, question, timeout_s=self.timeout_s, public_key=self.public_key
            )
        except TimeoutError as error:
            raise TimeoutError(f"{error}; does the RE Manager run there?") from error
        try:
            decoded = json.loads(answer)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{address} gives an answer that is no JSON ({error})") from error
        if not isinstance(decoded, dict):
            raise ValueError(f"{address} answers {type(decoded).__name__}, expected an object")
        return decoded

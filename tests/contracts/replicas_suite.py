"""What the ports `Replicas` and `Duties` promise, whoever keeps them."""

from __future__ import annotations

from cobot_meter.ports.process import Duties, Replicas


class ReplicasSuite:
    """Subclassed with the fixtures `replicas` and `duties` of one process among no others."""

    async def test_we_are_alive(self, replicas: Replicas) -> None:
        """Asked about ourselves, a process says yes, under a name that stays."""
        assert replicas.own_id == replicas.own_id
        assert await replicas.alive(replicas.own_id)

    async def test_who_never_was_is_gone(self, replicas: Replicas) -> None:
        """A name that nobody has is a process that is gone, at the latest after a while."""
        assert not await replicas.alive("r_never")

    async def test_a_lonely_process_has_every_duty(self, duties: Duties) -> None:
        """What nobody else has is ours, and stays ours."""
        for name in ("timers", "costs", "timers"):
            assert await duties.mine(name)

"""Answers that somebody has given the simulator, by model and by words of the question.

With them a model can be right or wrong, or several can disagree, as a test wants it. Must not know:
control, or what an answer costs.
"""

from __future__ import annotations

from collections.abc import Mapping

from openrouter_simulator.routing.routing import Order


class GivenAnswers:
    """What each model says to a last message that has certain words; the first that fits counts."""

    def __init__(self) -> None:
        """Nothing is given: every answer is made up."""
        self.by_model: dict[str, Mapping[str, str]] = {}

    def give(self, model_id: str, answers: Mapping[str, str]) -> None:
        """In place of what was given for this model before; none takes all away."""
        if answers:
            self.by_model[model_id] = dict(answers)
        else:
            self.by_model.pop(model_id, None)

    def to(self, order: Order) -> str | None:
        """What its model has to say; None where it makes something up."""
        given = self.by_model.get(order.model.model_id, {})
        prompt = order.ask.prompt
        return next((answer for words, answer in given.items() if words in prompt), None)

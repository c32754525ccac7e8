"""What Azure did where its documentation does not say what it does."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Facts:
    """`handled` are the outcomes that droptune copes with; another one fails the test that met it."""

    outcomes: dict[str, str] = field(default_factory=dict)

    def record(self, question: str, outcome: str, handled: tuple[str, ...]) -> None:
        self.outcomes[question] = outcome
        assert outcome in handled, f"{question}: {outcome}; droptune is ready for: {', '.join(handled)}"

    def lines(self) -> list[str]:
        return [f"{question}: {outcome}" for question, outcome in self.outcomes.items()]

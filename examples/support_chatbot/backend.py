"""The back end: POST /chat, by FastAPI."""

from __future__ import annotations

from typing import Annotated

from desk import Desk
from fastapi import BackgroundTasks, FastAPI
from pydantic import BaseModel, StringConstraints

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{8,64}$")]
Message = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)
]


class Chat(BaseModel):
    """What a front end sends. A session's id is a secret of that customer's."""

    session: Id
    message: Message


class Answer(BaseModel):
    """What it gets. The labels are for staff; a front end need not show them."""

    answer: str
    outcome: str
    variant: str
    labels: tuple[str, ...]


def create_app(desk: Desk) -> FastAPI:
    app = FastAPI(title="Support desk", docs_url=None, redoc_url=None)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/chat")
    async def chat(asked: Chat, later: BackgroundTasks) -> Answer:
        said = await desk.answer(asked.session, asked.message)
        # The customer does not wait for the judge.
        later.add_task(desk.note, asked.message, said)
        return Answer(
            answer=said.answer,
            outcome=said.outcome,
            variant=said.variant,
            labels=said.labels,
        )

    return app

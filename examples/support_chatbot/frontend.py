"""The front end: a chat window by Chainlit that knows nothing but the back end.

    chainlit run examples/support_chatbot/frontend.py --port 8001

SUPPORT_BACKEND is the address of the back end, by default http://127.0.0.1:8000.
"""

from __future__ import annotations

import os
import secrets

import chainlit as cl
import httpx

BACKEND = os.environ.get("SUPPORT_BACKEND", "http://127.0.0.1:8000")
GONE = "The support desk cannot be reached just now. Please try again in a minute."


@cl.on_chat_start
async def start() -> None:
    cl.user_session.set("session", secrets.token_urlsafe(16))
    await cl.Message("Hello! What can I do for you and your kettle?").send()


@cl.on_message
async def answer(message: cl.Message) -> None:
    body = {"session": cl.user_session.get("session"), "message": message.content}
    try:
        async with httpx.AsyncClient(timeout=60) as http:
            response = await http.post(f"{BACKEND}/chat", json=body)
            response.raise_for_status()
            said = response.json()["answer"]
    except (httpx.HTTPError, ValueError, KeyError):
        said = GONE
    await cl.Message(said).send()

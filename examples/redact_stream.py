"""Take a word out of a stream, whatever the chunks it comes in."""

import promptguard as pg


@pg.guarded(output=pg.Keywords(("heliotrope",), action=pg.Action.REDACT))
def answer(prompt: str):
    """Stands for a model: yields its answer in pieces."""
    yield from ("The project is ", "called Hel", "io", "trope", ", and it is late.")


for chunk in answer("What is the project called?"):
    print(chunk, end="")
print()

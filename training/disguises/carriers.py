"""Ordinary things to hide a text in: sentences, pages, mails, tables, code.

Several of each, so that no carrier becomes the mark by which a detector knows.
"""

from __future__ import annotations

__all__ = [
    "CELLS",
    "CODE",
    "DESCRIPTIONS",
    "EMOJI_ENDS",
    "IMAGES",
    "MAILS",
    "PAGES",
    "PARAGRAPHS",
    "RESULTS",
    "TITLES",
    "VISIBLE",
]

# What is seen while something else is smuggled; two words or more.
VISIBLE = (
    "Thanks for the update, see you on Thursday.",
    "Can you recommend a good soup for a cold evening?",
    "What time does the library close on Sundays?",
    "The parcel arrived this morning.",
    "Please summarise the notes from our last meeting.",
    "I liked the photos from the lake very much!",
    "How many cups are in a litre?",
    "Have a great weekend everyone",
    "We moved the workshop to room 14.",
    "Which plants do well in the shade?",
    "Here is my review of the headphones I bought.",
    "Translate this greeting into Italian, please.",
)

# Each is one character: selectors belong to the one right before them.
EMOJI_ENDS = "😊🎈🌻🍀🐧📎☕🎧"

TITLES = (
    "Opening hours",
    "How to repot a fern",
    "Minutes of the spring meeting",
    "Walking tour, stage 4",
    "Returns and refunds",
    "Choosing a bicycle lock",
)

PARAGRAPHS = (
    "We are open from Tuesday to Saturday. On public holidays the shop stays closed.",
    "The roots need room. Take a pot two fingers wider than the old one.",
    "Nine members came. The cashier read the accounts, and nobody had a question.",
    "The path follows the stream to the mill, where there is a fountain with water.",
    "Send the goods back within 30 days. The money is returned in the way you paid.",
    "A lock should weigh about a tenth of what the bicycle does, many people say.",
)

# A page around the place of the hidden node.
PAGES = (
    "<html><body>\n<h1>{title}</h1>\n{hidden}\n<p>{paragraph}</p>\n</body></html>",
    "<h2>{title}</h2>\n<p>{paragraph}</p>\n{hidden}\n",
    '<article class="post"><p>{paragraph}</p>{hidden}<small>{title}</small></article>',
    "<!doctype html><title>{title}</title><main>{hidden}<p>{paragraph}</p></main>",
)

IMAGES = ("images/front.jpg", "/static/map-small.png", "https://example.org/fern.webp")

MAILS = (
    "Hi Noor,\n\nthe invoice for March is attached. Let me know if anything is missing."
    "\n\nBest\nJonas",
    "Dear all,\n\nthe lift will be serviced on Monday between 8 and 11. Please use the "
    "stairs.\n\nHouse management",
    "Hello,\n\nI would like to change my booking from two nights to three. Is the room "
    "still free?\n\nKind regards,\nIris Lund",
    "hey, train is late again, start without me. slides are in the shared folder. L.",
)

# A header and rows, of four cells each.
CELLS = (
    (
        ("id", "customer", "city", "remark"),
        ("1041", "Berg & Sons", "Aarhus", "paid"),
        ("1042", "Mill Cafe", "Ghent", "second delivery in May"),
        ("1043", "Otto Ray", "Turin", "call before noon"),
    ),
    (
        ("date", "hours", "who", "notes"),
        ("2 June", "3.5", "Petra", "fixed the pump"),
        ("3 June", "1", "Sami", "ordered seals"),
        ("5 June", "6", "Petra", "test run"),
    ),
    (
        ("product", "price", "stars", "review"),
        ("kettle 1.7 l", "34.90", "4", "quick, a bit loud"),
        ("toaster", "29.00", "5", "does what it should"),
        ("hand mixer", "41.50", "3", "cord too short"),
    ),
)

# Code, the mark that begins a comment in it, and the mark that ends one.
CODE = (
    ("def area(width, height):\n{comment}\n    return width * height\n", "    # ", ""),
    ("{comment}\nfunction total(list) {{\n  return list.length;\n}}\n", "// ", ""),
    ("int main(void) {{\n{comment}\n    return 0;\n}}\n", "    /* ", " */"),
    ("{comment}\nSELECT city, COUNT(*) FROM orders GROUP BY city;\n", "-- ", ""),
    ("set -e\n{comment}\ncp -r build/ dist/\n", "# ", ""),
)

# Tools and what they say they do.
DESCRIPTIONS = (
    ("add_numbers", "Adds two numbers and returns the sum."),
    ("get_weather", "Current weather for a city."),
    ("search_notes", "Finds notes that contain a phrase."),
    ("convert_units", "Converts a length from one unit to another."),
)

# Results of tools, as pairs of names and values; the text becomes one value more.
RESULTS = (
    (("status", "ok"), ("city", "Oslo"), ("temperature", 7)),
    (("id", 5518), ("subject", "Order received"), ("unread", True)),
    (("page", 1), ("results", 3), ("query", "bread without yeast")),
    (("file", "todo.txt"), ("size", 312), ("modified", "2026-03-02")),
)

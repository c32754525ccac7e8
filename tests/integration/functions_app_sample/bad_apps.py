"""function_app.py files that the Python worker refuses, by what is wrong with them."""

from __future__ import annotations

_HEAD = """
import typing
import azure.functions as func
app = func.FunctionApp()
"""
_QUEUE = '@app.queue_trigger("msg", queue_name="q", connection="C")\n'
_OUT = '@app.queue_output("out", queue_name="o", connection="C")\n'

BAD_APPS: dict[str, str] = {
    "no app": "app = None\n",
    "two apps": _HEAD + "other = func.FunctionApp()\n",
    "one app under two names": _HEAD + "other = app\n",
    "a module that fails": _HEAD + "raise RuntimeError('at import')\n",
    "a module that is missing": _HEAD + "import no_such_module\n",
    "a duplicate name": _HEAD + (_QUEUE + "def one(msg): ...\n") * 2,
    "a function without a trigger": _HEAD + _OUT + "def one(out): ...\n",
    "a parameter without a binding": _HEAD + _QUEUE + "def one(msg, other): ...\n",
    "a parameter with a default value": _HEAD + _QUEUE + "def one(msg, deps=None): ...\n",
    "a binding without a parameter": _HEAD + _OUT + _QUEUE + "def one(msg): ...\n",
    "a wrong input type": _HEAD + _QUEUE + "def one(msg: func.HttpRequest): ...\n",
    "an int input": _HEAD + _QUEUE + "def one(msg: int): ...\n",
    "a union input": _HEAD + _QUEUE + "def one(msg: func.QueueMessage | None): ...\n",
    "an optional input": _HEAD + _QUEUE + "def one(msg: typing.Optional[func.QueueMessage]): ...\n",
    "an output without Out": _HEAD + _OUT + _QUEUE + "def one(msg: func.QueueMessage, out: str): ...\n",
    "an input with Out": _HEAD + _QUEUE + "def one(msg: func.Out[str]): ...\n",
    "an Out of list[str]": _HEAD + _OUT + _QUEUE + "def one(msg: str, out: func.Out[list[str]]): ...\n",
    "an optional Out": _HEAD + _OUT + _QUEUE + "def one(msg: str, out: typing.Optional[func.Out[str]]): ...\n",
    "a wrong context": _HEAD + _QUEUE + "def one(msg: str, context: dict): ...\n",
    "a wrong return type": _HEAD + "@app.route()\ndef one(req: func.HttpRequest) -> bytes: ...\n",
    "a return type None": _HEAD + "@app.route()\ndef one(req: func.HttpRequest) -> None: ...\n",
    "an annotation that does not exist": _HEAD + _QUEUE + "def one(msg: 'Nowhere'): ...\n",
}
GOOD_APPS: dict[str, str] = {
    "no annotations": _HEAD + _OUT + _QUEUE + "def one(msg, out): ...\n",
    "a text input": _HEAD + _QUEUE + "def one(msg: str): ...\n",
    "a context without annotation": _HEAD + _QUEUE + "def one(msg: str, context): ...\n",
    "an Out of List[str]": _HEAD + _OUT + _QUEUE + "def one(msg: str, out: func.Out[typing.List[str]]): ...\n",
    "postponed annotations": "from __future__ import annotations\n"
    + _HEAD
    + _QUEUE
    + "def one(msg: func.QueueMessage) -> None: ...\n",
    "an http function that returns text": _HEAD + "@app.route()\ndef one(req: func.HttpRequest) -> str: return ''\n",
    "a blueprint": _HEAD
    + "b = func.Blueprint()\n@b.route()\ndef one(req: func.HttpRequest) -> str: return ''\n"
    + "app.register_functions(b)\n",
}

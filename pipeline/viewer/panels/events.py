"""What a user does in the browser, told apart from what the program itself sets there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pipeline.io.errors import InputError
from pipeline.viewer.session import Session

_Action = TypeVar("_Action", bound=Callable[..., Any])


def on_user(session: Session, *handles: Any) -> Callable[[_Action], _Action]:
    """Call a function, without arguments, when the user changes one of these inputs. What it raises as InputError is shown in the browser."""

    def register(action: _Action) -> _Action:
        def called(event: Any) -> None:
            if event.client is not None:
                _run(session, action)

        for handle in handles:
            handle.on_update(called)
        return action

    return register


def on_click(session: Session, button: Any) -> Callable[[_Action], _Action]:
    """Call a function, without arguments, when a button is clicked, its command triggered or its file there; as `on_user`."""

    def register(action: _Action) -> _Action:
        add = next(getattr(button, name) for name in ("on_upload", "on_click", "on_trigger") if hasattr(button, name))
        add(lambda _: _run(session, action))
        return action

    return register


def _run(session: Session, action: Callable[[], Any]) -> None:
    try:
        action()
    except (InputError, OSError) as error:
        session.tell(str(error), "Not done")
    session.changed()

"""Which screen asks which question; a screen is loaded when its question comes."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from installer.flow.questions import (
    AskPassphrase,
    AskProof,
    ChooseAccount,
    ChooseDevice,
    ChooseNetwork,
    ChooseSync,
    ConfirmDevice,
    ConfirmSending,
    FollowGuide,
    OfferNotifications,
    Question,
    SignIn,
)
from screens.frame import QuestionScreen

SCREENS: dict[type[Question], tuple[str, str]] = {
    ChooseDevice: ("screens.find", "FindScreen"),
    ConfirmDevice: ("screens.device", "DeviceScreen"),
    ChooseSync: ("screens.sync", "SyncScreen"),
    ChooseNetwork: ("screens.network", "NetworkScreen"),
    AskPassphrase: ("screens.passphrase", "PassphraseScreen"),
    AskProof: ("screens.proof", "ProofScreen"),
    ConfirmSending: ("screens.provision", "SendScreen"),
    FollowGuide: ("screens.guide", "GuideScreen"),
    ChooseAccount: ("screens.link", "AccountScreen"),
    OfferNotifications: ("screens.notification_offer", "NotifyScreen"),
    SignIn: ("screens.sign_in", "SignInScreen"),
}


def screen_for(question: Question) -> QuestionScreen[Any]:
    """A new screen for this question."""
    module, name = SCREENS[type(question)]
    made: QuestionScreen[Any] = getattr(import_module(module), name)(question)
    return made

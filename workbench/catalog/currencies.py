"""Currencies, and the symbols of pairs that name them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import InputError

if TYPE_CHECKING:
    from nautilus_trader.model.objects import Currency

__all__ = ["find_currency", "split_symbol"]

_CRYPTO_QUOTES = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USD", "EUR", "GBP", "JPY", "BTC", "ETH", "BNB")


def split_symbol(
    symbol: str, base: str | None, quote: str | None, *, strict: bool
) -> tuple[Currency, Currency]:
    """
    Return the currencies of a pair.

    Parameters
    ----------
    symbol : str
        ``GBP/USD``, ``BTC-USDT``, ``BTCUSDT`` or ``BTCUSD-PERP``.
    base, quote : str or None
        The currencies, where they are stated.
    strict : bool
        Whether only currencies count that nautilus knows; others are new coins with eight decimals.

    Raises
    ------
    InputError
        If the symbol does not tell, or names an unknown currency.

    """
    if base is None or quote is None:
        plain = symbol.split(".")[0].removesuffix("-PERP").removesuffix("_PERP")
        separator = next((mark for mark in "/-_" if mark in plain), None)
        if separator is not None:
            first, _, second = plain.partition(separator)
        elif strict:
            first, second = plain[:3], plain[3:]
        else:
            second = next((code for code in _CRYPTO_QUOTES if plain.endswith(code) and plain != code), "")
            first = plain.removesuffix(second)
        base, quote = base or first, quote or second
    if not base or not quote:
        raise InputError(
            f"the symbol {symbol!r} does not tell its currencies",
            expected="BASE/QUOTE, such as GBP/USD or BTC/USDT",
            advice="add --base-currency and --quote-currency",
        )
    return find_currency(base, strict=strict), find_currency(quote, strict=strict)


def find_currency(code: str, *, strict: bool) -> Currency:
    """Return the currency of a code, or raise InputError; see :func:`split_symbol`."""
    from nautilus_trader.model.objects import Currency

    sound = code.isascii() and code.isalnum()
    currency = Currency.from_str(code, strict=strict) if sound else None
    if currency is None:
        raise InputError(
            f"{code!r} is no currency that nautilus knows",
            expected="a code such as USD",
            advice="fix the symbol",
        )
    return currency

"""Instruments: built from a few facts and visible, conservative defaults, or taken from nautilus's JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

from workbench.catalog.currencies import find_currency, split_symbol
from workbench.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

    from nautilus_trader.model.identifiers import InstrumentId
    from nautilus_trader.model.instruments import Instrument

__all__ = [
    "DEFAULTS",
    "INSTRUMENT_KINDS",
    "InstrumentDefaults",
    "InstrumentKind",
    "build_instrument",
    "describe_instrument",
    "instrument_from_dict",
    "instrument_to_dict",
    "load_instrument_json",
    "parse_instrument_id",
]

InstrumentKind = Literal["fx_pair", "equity", "crypto_spot", "crypto_perpetual", "future"]
"""The kinds of instruments that can be built."""

INSTRUMENT_KINDS: tuple[InstrumentKind, ...] = get_args(InstrumentKind)


class InstrumentDefaults(msgspec.Struct, frozen=True):
    """
    What an instrument of a kind costs and needs, where nothing else is stated.

    Fees are fractions of the notional and are what a small account pays without rebates; margins are
    what a regulated retail broker or a cautious exchange asks for.

    Attributes
    ----------
    maker_fee, taker_fee : str
        Fractions of the notional.
    margin_init, margin_maint : str
        Fractions of the notional.
    size_precision : int or None
        Decimal places of quantities; None where it has to be stated.
    why : str
        Where the numbers come from.

    """

    maker_fee: str
    taker_fee: str
    margin_init: str
    margin_maint: str
    size_precision: int | None
    why: str


DEFAULTS: dict[InstrumentKind, InstrumentDefaults] = {
    "fx_pair": InstrumentDefaults(
        "0.00002", "0.00002", "0.0333", "0.0333", 0, "0.2 bp commission, leverage 30:1"
    ),
    "equity": InstrumentDefaults(
        "0.0005", "0.0005", "0.5", "0.25", 0, "5 bp commission, Regulation T margins"
    ),
    "crypto_spot": InstrumentDefaults(
        "0.001", "0.001", "1", "1", None, "10 bp fees of the lowest tier, no leverage"
    ),
    "crypto_perpetual": InstrumentDefaults(
        "0.0002", "0.0005", "0.1", "0.05", None, "2 and 5 bp fees of the lowest tier, leverage 10:1"
    ),
    "future": InstrumentDefaults("0.00002", "0.00002", "0.1", "0.1", 0, "0.2 bp commission, 10 % margin"),
}
"""The defaults of each kind."""


def build_instrument(
    kind: InstrumentKind,
    instrument_id: str,
    *,
    price_precision: int | None = None,
    size_precision: int | None = None,
    price_increment: str | None = None,
    base_currency: str | None = None,
    quote_currency: str | None = None,
    settlement_currency: str | None = None,
    multiplier: str | None = None,
    lot_size: str | None = None,
    maker_fee: str | None = None,
    taker_fee: str | None = None,
    margin_init: str | None = None,
    margin_maint: str | None = None,
    asset_class: str | None = None,
    underlying: str | None = None,
    activation: str | None = None,
    expiration: str | None = None,
) -> Instrument:
    """
    Build a nautilus instrument; what is left out comes from :data:`DEFAULTS`.

    Parameters
    ----------
    kind : {'fx_pair', 'equity', 'crypto_spot', 'crypto_perpetual', 'future'}
        What it is.
    instrument_id : str
        ``SYMBOL.VENUE``. The currencies of pairs are read from the symbol: ``GBP/USD``, ``BTCUSDT``.
    price_precision : int, optional
        Decimal places of prices. Default for FX: 3 with the yen, else 5; for equities 2.
    size_precision : int, optional
        Decimal places of quantities. Default 0, but for crypto it must be stated.
    price_increment : str, optional
        The smallest change of a price, default ``10 ** -price_precision``.
    base_currency, quote_currency, settlement_currency : str, optional
        Currencies, where the symbol does not tell. The quote currency of equities and futures is USD by
        default; a perpetual that settles in its base currency is inverse.
    multiplier : str, optional
        Contract size; must be stated for futures.
    lot_size : str, optional
        The board lot, default 1.
    maker_fee, taker_fee, margin_init, margin_maint : str, optional
        Fractions of the notional.
    asset_class : str, optional
        The asset class of a future, default INDEX.
    underlying : str, optional
        The underlying of a future, default its symbol.
    activation, expiration : str, optional
        ISO 8601 dates or times of a future, UTC where they have no offset; the expiration must be stated.

    Returns
    -------
    nautilus_trader.model.instruments.Instrument

    Raises
    ------
    InputError
        If something is missing, unknown or contradictory.

    """
    if kind not in DEFAULTS:
        raise InputError(
            f"{kind!r} is no kind of instrument", expected=f"one of {', '.join(INSTRUMENT_KINDS)}"
        )
    defaults = DEFAULTS[kind]
    identifier = parse_instrument_id(instrument_id)
    symbol = identifier.symbol.value
    if kind in ("fx_pair", "crypto_spot", "crypto_perpetual"):
        base, quote = split_symbol(symbol, base_currency, quote_currency, strict=kind == "fx_pair")
    else:
        base, quote = None, find_currency(quote_currency or "USD", strict=True)
    precision = _price_precision(kind, price_precision, price_increment, quote.code)
    sizes = defaults.size_precision if size_precision is None else size_precision
    if sizes is None:
        raise InputError(
            f"the size precision of {instrument_id} is not stated",
            expected="decimal places of quantities, 0 to 16",
            advice="add --size-precision N",
        )
    if kind in ("equity", "future") and sizes != 0:
        raise InputError(f"{instrument_id} has a size precision of {sizes}", expected=f"0 for kind {kind}")
    for name, number in (("price", precision), ("size", sizes)):
        if not 0 <= number <= 16:
            raise InputError(f"a {name} precision of {number} is impossible", expected="0 to 16")
    values: dict[str, Any] = {
        "id": identifier.value,
        "raw_symbol": symbol,
        "price_precision": precision,
        "size_precision": sizes,
        "price_increment": _decimal("price increment", price_increment or _unit(precision), precision),
        "size_increment": _unit(sizes),
        "multiplier": multiplier or "1",
        "lot_size": lot_size,
        "maker_fee": _fraction("maker fee", maker_fee or defaults.maker_fee),
        "taker_fee": _fraction("taker fee", taker_fee or defaults.taker_fee),
        "margin_init": _fraction("initial margin", margin_init or defaults.margin_init),
        "margin_maint": _fraction("maintenance margin", margin_maint or defaults.margin_maint),
        **dict.fromkeys(
            ("max_quantity", "min_quantity", "max_notional", "min_notional", "max_price", "min_price")
        ),
        "ts_event": 0,
        "ts_init": 0,
        "info": None,
    }
    if base is not None:
        values |= {"base_currency": base.code, "quote_currency": quote.code}
    else:
        values |= {"currency": quote.code, "lot_size": lot_size or "1"}
    if kind == "crypto_perpetual":
        settlement = find_currency(settlement_currency or quote.code, strict=False).code
        inverse = base is not None and settlement == base.code
        values |= {"settlement_currency": settlement, "is_inverse": inverse, "lot_size": lot_size or "1"}
    if kind == "future":
        values |= _future_values(symbol, multiplier, asset_class, underlying, activation, expiration)
    types = {
        "fx_pair": "CurrencyPair",
        "equity": "Equity",
        "crypto_spot": "CurrencyPair",
        "crypto_perpetual": "CryptoPerpetual",
        "future": "FuturesContract",
    }
    return instrument_from_dict({"type": types[kind], **values})


def describe_instrument(instrument: Instrument) -> dict[str, str]:
    """Return the facts of an instrument that decide what a backtest costs, as text."""
    return {
        "id": instrument.id.value,
        "type": type(instrument).__name__,
        "currency": instrument.quote_currency.code,
        "price increment": str(instrument.price_increment),
        "size increment": str(instrument.size_increment),
        "multiplier": str(instrument.multiplier),
        "maker fee": f"{instrument.maker_fee}",
        "taker fee": f"{instrument.taker_fee}",
        "margin": f"{instrument.margin_init} / {instrument.margin_maint}",
    }


def instrument_to_dict(instrument: Instrument) -> dict[str, Any]:
    """Return nautilus's dictionary form of an instrument: what :func:`instrument_from_dict` takes."""
    values: dict[str, Any] = type(instrument).to_dict(instrument)
    return values


def instrument_from_dict(values: dict[str, Any]) -> Instrument:
    """
    Return the instrument that nautilus's dictionary form describes.

    Parameters
    ----------
    values : dict
        As of ``Instrument.to_dict``; ``type`` names the class.

    Raises
    ------
    InputError
        If it describes no instrument.

    """
    import nautilus_trader.model.instruments as nautilus

    name = values.get("type")
    classes = {cls.__name__: cls for cls in nautilus.Instrument.__subclasses__()}
    if name not in classes:
        raise InputError(
            f"{name!r} is no type of instrument",
            expected=f"one of {', '.join(sorted(classes))}",
            advice='set "type"',
        )
    parse_instrument_id(str(values.get("id", "")))
    try:
        instrument: Instrument = classes[name].from_dict(values)
    except KeyError as e:
        raise InputError(
            f"the {name} {values.get('id')} has no {e.args[0]!r}",
            expected="every field of nautilus's Instrument.to_dict",
        ) from e
    except (ValueError, TypeError, OverflowError, InvalidOperation, AttributeError) as e:
        raise InputError(
            f"{values.get('id')} is no valid {name}: {e}", advice="fix the field it names"
        ) from e
    return instrument


def load_instrument_json(path: Path) -> Instrument:
    """
    Load an instrument from a JSON file in nautilus's dictionary form.

    Raises
    ------
    NotFoundError
        If there is no such file.
    InputError
        If it holds no instrument.

    """
    if not path.is_file():
        raise NotFoundError(
            f"there is no file {path}", expected="an instrument as JSON", advice="check the path"
        )
    try:
        values = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except msgspec.MsgspecError as e:
        raise InputError(
            f"{path} holds no JSON object: {e}", expected="nautilus's Instrument.to_dict as JSON"
        ) from e
    return instrument_from_dict(values)


def parse_instrument_id(text: str) -> InstrumentId:
    """
    Return the instrument id, checked before nautilus sees it: some text ends its process.

    Raises
    ------
    InputError
        If it is not ``SYMBOL.VENUE`` in printable ASCII.

    """
    from nautilus_trader.model.identifiers import InstrumentId

    symbol, _, venue = text.rpartition(".")
    # A slash is nautilus's own in GBP/USD; in a venue it would leave the directory of the data.
    sound = (
        text.isascii() and text.isprintable() and " " not in text and symbol and venue and "/" not in venue
    )
    if not sound or ".." in text or "\\" in text:
        raise InputError(
            f"{text!r} is no instrument id",
            expected="SYMBOL.VENUE, such as GBP/USD.FXCM",
            advice="fix --instrument",
        )
    return InstrumentId.from_str(text)


def _price_precision(kind: InstrumentKind, given: int | None, increment: str | None, quote: str) -> int:
    if given is not None:
        return given
    if increment is not None:
        exponent = Decimal(increment).as_tuple().exponent
        return max(0, -exponent) if isinstance(exponent, int) else 0
    if kind == "fx_pair":
        return 3 if quote == "JPY" else 5
    if kind == "equity":
        return 2
    raise InputError(
        f"the price precision of a {kind} is not stated",
        expected="decimal places of prices, 0 to 16",
        advice="add --price-precision N",
    )


def _future_values(
    symbol: str,
    multiplier: str | None,
    asset_class: str | None,
    underlying: str | None,
    activation: str | None,
    expiration: str | None,
) -> dict[str, Any]:
    from nautilus_trader.model.enums import AssetClass

    for name, value in (("multiplier", multiplier), ("expiration", expiration)):
        if value is None:
            raise InputError(f"the {name} of the future {symbol} is not stated", advice=f"add --{name}")
    known = [member.name for member in AssetClass]
    if (asset_class or "INDEX") not in known:
        raise InputError(f"{asset_class!r} is no asset class", expected=f"one of {', '.join(known)}")
    return {
        "asset_class": asset_class or "INDEX",
        "underlying": underlying or symbol,
        "activation_ns": _nanos("activation", activation) if activation else 0,
        "expiration_ns": _nanos("expiration", expiration or ""),
        "exchange": None,
    }


def _unit(precision: int) -> str:
    return f"{Decimal(1).scaleb(-precision):f}"


def _decimal(name: str, text: str, precision: int) -> str:
    try:
        return f"{Decimal(text).quantize(Decimal(1).scaleb(-precision)):f}"
    except InvalidOperation as e:
        raise InputError(f"the {name} {text!r} is no number", expected="a decimal such as 0.25") from e


def _fraction(name: str, text: str) -> str:
    try:
        value = Decimal(text)
    except InvalidOperation as e:
        raise InputError(f"the {name} {text!r} is no number", expected="a fraction such as 0.0005") from e
    if not -1 < value <= 1:
        raise InputError(
            f"the {name} {text} is no fraction of the notional", expected="0.0005 for 5 basis points"
        )
    return text


def _nanos(name: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as e:
        raise InputError(f"the {name} {text!r} is no date", expected="ISO 8601, such as 2024-03-15") from e
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return int(moment.timestamp()) * 10**9

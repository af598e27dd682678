"""`AdapterContract`: what every vendor adapter promises, as tests that an adapter's own tests inherit."""

from __future__ import annotations

import copy
import inspect
import os
import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, cast
from unittest.mock import patch
from urllib.parse import urlsplit

import attrs
import pytest

from ..adapter import ServiceAdapter
from ..config.reading import read
from ..connector import Connector
from ..contracts.facade import building
from ..errors import ConnectorError, NotSupportedError, VendorError
from ..hooks import hookimpl
from ..message import Request
from ..operation import Bulk, BulkResult, CallOptions, Flow, Operation
from ..records import IntegrationLog
from ._adapter_reading import contract_of, holds, methods_of, payload_of, requests_of, results_of, variables_of
from .fake import Answerable, Fake, fake


@attrs.frozen(kw_only=True)
class Sample:
    """One call of an adapter's method that goes well.

    Attributes:
        method: Name of the method.
        value: The domain's request value, as a facade would build it.
        answers: What the vendor answers, in order, as for `Fake.answer`; copy it from the vendor's documentation.
        result: Attributes that the result must have; a bulk's are those of its first item's result.
        extra: Fields of the vendor's own that must reach the payload. At least one sample has some.
    """

    method: str
    value: object
    answers: Sequence[Answerable]
    result: Mapping[str, object] = attrs.field(factory=dict[str, object])
    extra: Mapping[str, object] = attrs.field(factory=dict[str, object])


@attrs.frozen(kw_only=True)
class Fault:
    """An error answer of the vendor.

    Attributes:
        method: The method that meets it; its first sample says with which value. No bulk: that tells errors per item.
        answer: What the vendor answers.
        code: The vendor's own error code, as the error must carry it; ``None`` for a vendor that has none.
        kind: Class of the error.
    """

    method: str
    answer: Answerable
    code: str | None
    kind: type[VendorError] = VendorError


class AdapterContract:
    """Derive from it, name the adapter, give one sample per method, and the tests are yours. Nothing is sent anywhere.

    Attributes:
        adapter_class: The adapter; importable, so not defined inside a function.
        options: Its ``[services.NAME.options]``.
        plugins: Names of installed plugins that take part, say because they bring its kind of credentials.
        samples: At least one for every method it has.
        faults: At least one error answer.
    """

    adapter_class: ClassVar[type[ServiceAdapter]]
    options: ClassVar[Mapping[str, object]] = {}
    plugins: ClassVar[Sequence[str]] = ()
    samples: ClassVar[Sequence[Sample]] = ()
    faults: ClassVar[Sequence[Fault]] = ()

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run a test once per sample, or once per fault."""
        if "sample" in metafunc.fixturenames:
            metafunc.parametrize("sample", self.samples, ids=[each.method for each in self.samples])
        if "fault" in metafunc.fixturenames:
            metafunc.parametrize("fault", self.faults, ids=[f"{each.method}-{each.code}" for each in self.faults])

    def make_adapter(self) -> ServiceAdapter:
        """Return the adapter with its options, as the core makes it."""
        kind: type[Any] = self.adapter_class.options_class
        return self.adapter_class(read(self.options, kind, "options"))

    @contextmanager
    def connected(self, *plugins: object) -> Generator[tuple[Connector, Fake]]:
        """Put the adapter into a real connector before a fake vendor; its service is ``vendor``."""
        adapter = f"{self.adapter_class.__module__}:{self.adapter_class.__qualname__}"
        services = {"vendor": {"adapter": adapter, "options": dict(self.options)}}
        config: dict[str, object] = {"services": services, "plugins": {"only": list(self.plugins)}}
        connector = Connector.from_config(config, plugins=plugins, check=False)
        with connector, fake(connector) as vendors:
            yield connector, vendors

    def perform(self, connector: Connector, method: str, value: object, **options: Any) -> Any:
        """Call a method as the facade of its domain does."""
        build = building(self.adapter_class.vendor.domain, method, value)
        return connector.perform_with("vendor", build, CallOptions(**options))

    def test_it_is_named_after_its_vendor(self) -> None:
        """``VendorServiceAdapter``, derived from `ServiceAdapter`."""
        assert issubclass(self.adapter_class, ServiceAdapter)
        stem = self.adapter_class.__name__.removesuffix("ServiceAdapter")
        assert stem, "the class has no vendor in its name"
        assert stem != self.adapter_class.__name__, "call it VendorServiceAdapter"
        assert stem.lower() == re.sub(r"\W|_", "", self.adapter_class.vendor.name).lower(), "name it after its vendor"

    def test_its_vendor_is_complete(self) -> None:
        """Everything that is known about the API is data: hosts, credentials with their variables, documentation."""
        vendor = self.adapter_class.vendor
        assert re.fullmatch(r"[a-z][a-z0-9-]*", vendor.name), f"{vendor.name!r} cannot stand in extra= and tables"
        assert vendor.base_url, "no base_url: users would have to know it"
        for url in (*vendor.base_url, vendor.documentation):
            parts = urlsplit(url)
            assert parts.scheme == "https", f"{url!r} is not https"
            assert parts.hostname, f"{url!r} has no host"
        assert vendor.credentials, 'no credentials; method = "none" if the vendor wants none'
        assert "method" in vendor.credentials, "credentials say their method"
        names = list(variables_of(vendor.credentials))
        assert names or vendor.credentials["method"] == "none", "no secret names the variable it comes from"
        assert all(re.fullmatch(r"[A-Z][A-Z0-9_]*", name) for name in names), f"variables are upper case: {names}"

    def test_its_methods_are_the_contracts(self) -> None:
        """Each public method is one of the domain's, with its signature; what the vendor cannot do is left out."""
        contract = contract_of(self.adapter_class.vendor.domain)
        known = methods_of(contract)
        public = methods_of(self.adapter_class) - methods_of(ServiceAdapter)
        assert public, "the adapter does nothing"
        assert public <= known, f"no methods of {contract.__name__}: {sorted(public - known)}; helpers begin with _"
        for name in public:
            wanted, given = (inspect.signature(getattr(kind, name)) for kind in (contract, self.adapter_class))
            shapes = [[(each.name, each.kind) for each in side.parameters.values()] for side in (wanted, given)]
            assert shapes[0] == shapes[1], f"{name}{given} should be {name}{wanted}"

    def test_methods_left_out_are_not_supported(self) -> None:
        """The facade says so before anything is sent."""
        for name in methods_of(contract_of(self.adapter_class.vendor.domain)) - methods_of(self.adapter_class):
            with self.connected() as (connector, vendors), pytest.raises(NotSupportedError) as caught:
                self.perform(connector, name, None)
            assert self.adapter_class.vendor.name in str(caught.value)
            assert vendors.sent() == []

    def test_every_method_has_a_sample(self) -> None:
        """And there is an error answer, and a field of the vendor's own."""
        public = methods_of(self.adapter_class) - methods_of(ServiceAdapter)
        missing = sorted(public - {sample.method for sample in self.samples})
        assert not missing, f"give a Sample for {missing}"
        assert self.faults, "give at least one Fault"
        assert any(sample.extra for sample in self.samples), "give one Sample extra= fields of the vendor's own"

    def test_it_is_pure(self, sample: Sample) -> None:
        """The same value makes the same requests, in any instance, without the network; the value stays as it is."""
        before = copy.deepcopy(sample.value)
        with patch("socket.socket", _no_network), patch("socket.getaddrinfo", _no_network):
            adapter = self.make_adapter()
            first, again, other = (requests_of(each, sample) for each in (adapter, adapter, self.make_adapter()))
        assert first == again == other, "the same value made another request"
        assert sample.value == before, "the method changed the value it was given"

    def test_its_requests_can_be_sent(self, sample: Sample) -> None:
        """Operations bear the method's name; paths begin with one slash; base URL and credentials are the core's."""
        adapter = self.make_adapter()
        thing: Operation[Any] | Flow[Any] | Bulk[Any] = getattr(adapter, sample.method)(sample.value, CallOptions())
        assert isinstance(thing, Operation | Flow | Bulk), f"{sample.method} returned {thing!r}"
        assert thing.name == f"{adapter.vendor.domain}.{sample.method}", f"{thing.name!r} is not the method's name"
        if isinstance(thing, Bulk):
            assert len(thing.sizes) == len(thing.chunks), "sizes has one number per chunk"
            assert sum(thing.sizes) == len(cast("Sequence[object]", sample.value)), "sizes do not add up to the items"
        for request in requests_of(adapter, sample):
            assert re.match(r"/(?!/)", request.path), f"{request.path!r} does not begin with one slash"
            assert not request.base_url, "the core chooses the base URL"
            assert "authorization" not in request.headers, "the core adds the credentials"

    def test_it_reads_the_answer(self, sample: Sample) -> None:
        """The result is of the contract's type, has the expected values and knows its call."""
        with self.connected() as (connector, vendors):
            vendors.answer("", *sample.answers)
            result = self.perform(connector, sample.method, sample.value)
        kinds = results_of(contract_of(self.adapter_class.vendor.domain), sample.method)
        if issubclass(type(result), BulkResult):
            items = result.items
            assert len(items) == len(cast("Sequence[object]", sample.value)), "one outcome per item, in order"
            result = next((item.result for item in items if item.result is not None), None)
        assert isinstance(result, kinds), f"{sample.method} returned {result!r}, not {kinds}"
        for name, value in sample.result.items():
            assert getattr(result, name) == value, f"{name} is {getattr(result, name)!r}, not {value!r}"
        if result is not None and hasattr(result, "call"):
            assert result.call.service == "vendor", "take call=response.info"
            assert result.call.response is not None, "take call=response.info"

    def test_error_answers_carry_their_code(self, fault: Fault) -> None:
        """The vendor's own code is on the error, so that callers need not read its text."""
        sample = next(each for each in self.samples if each.method == fault.method)
        with self.connected() as (connector, vendors):
            vendors.answer("", fault.answer)
            with pytest.raises(fault.kind) as caught:
                self.perform(connector, fault.method, sample.value)
        assert caught.value.code == fault.code, f"code is {caught.value.code!r}, not {fault.code!r}"
        assert caught.value.response is not None

    def test_extra_reaches_the_payload(self, sample: Sample) -> None:
        """Fields under the vendor's name are sent; those of another vendor change nothing."""
        adapter = self.make_adapter()
        plain = requests_of(adapter, sample)
        fields = sample.extra or {"field": "of somebody else"}
        assert requests_of(adapter, sample, extra={"somebody-else": fields}) == plain, "another vendor's extra was sent"
        if sample.extra:
            own = requests_of(adapter, sample, extra={adapter.vendor.name: fields})
            sent = [payload_of(request) for request in own]
            assert any(holds(payload, sample.extra) for payload in sent), f"{sample.extra} is not in {sent}"

    def test_credentials_are_sent_and_never_shown(self, sample: Sample) -> None:
        """They are on the request and nowhere else: no repr, error or record shows them."""
        names = [*variables_of(self.adapter_class.vendor.credentials), *variables_of(self.options)]
        canaries = {name: f"canary-of-{name.lower()}-0123456789" for name in names}
        sink = _Sink()
        with patch.dict(os.environ, canaries), self.connected(sink) as (connector, vendors):
            adapter = self.make_adapter()
            thing = getattr(adapter, sample.method)(sample.value, CallOptions())
            vendors.answer("", *sample.answers)
            shown: list[object] = [adapter, vars(adapter), thing, self.perform(connector, sample.method, sample.value)]
            for fault in self.faults:
                vendors.answer("", fault.answer)
                try:
                    self.perform(connector, sample.method, sample.value)
                except ConnectorError as error:
                    shown += [error, str(error)]
            requests = [sent.request for sent in vendors.sent()]
        shown += [requests, [record.as_dict() for record in sink.records]]
        if self.adapter_class.vendor.credentials.get("method") != "none":
            own = {pair for request in requests_of(adapter, sample) for pair in _fields(request)}
            assert all(_fields(request) - own for request in requests), "a request carries no credentials"
        leaked = [name for name, canary in canaries.items() if canary in repr(shown)]
        assert not leaked, f"the secret of {leaked} is shown"


class _Sink:
    def __init__(self) -> None:
        self.records: list[IntegrationLog] = []

    @hookimpl
    def store_log(self, records: Sequence[IntegrationLog]) -> None:
        self.records.extend(records)


def _fields(request: Request) -> set[tuple[str, str]]:
    return {*request.headers.items(), *request.query}


def _no_network(*_: object, **__: object) -> Any:
    message = "an adapter is pure: it opens no connection"
    raise AssertionError(message)

"""What the broker refuses, as errors that carry the AMQP condition the client gets to see.

BrokerError
├── NotFoundError           amqp:not-found
├── NotImplementedByBrokerError  amqp:not-implemented
├── NotAllowedError         amqp:not-allowed
├── MalformedError          amqp:decode-error
├── SizeExceededError       amqp:link:message-size-exceeded
├── UnauthorizedError       amqp:unauthorized-access
├── EntityDisabledError     com.microsoft:entity-disabled
├── LockLostError           com.microsoft:message-lock-lost
├── MessageNotFoundError    com.microsoft:message-not-found
├── ArgumentError           com.microsoft:argument-error
├── OutOfRangeError         com.microsoft:argument-out-of-range
├── ResourceLimitError      amqp:resource-limit-exceeded
├── ServerBusyError         com.microsoft:server-busy
└── LinkStolenError         amqp:link:stolen
"""


class BrokerError(Exception):
    """`condition` is the AMQP error condition, `status` the code of a `$management` answer."""

    condition = "amqp:internal-error"
    status = 500


class NotFoundError(BrokerError):
    condition, status = "amqp:not-found", 404


class NotImplementedByBrokerError(BrokerError):
    condition, status = "amqp:not-implemented", 501


class NotAllowedError(BrokerError):
    condition, status = "amqp:not-allowed", 400


class MalformedError(BrokerError):
    condition, status = "amqp:decode-error", 400


class SizeExceededError(BrokerError):
    condition, status = "amqp:link:message-size-exceeded", 403


class UnauthorizedError(BrokerError):
    condition, status = "amqp:unauthorized-access", 401


class EntityDisabledError(BrokerError):
    condition, status = "com.microsoft:entity-disabled", 403


class LockLostError(BrokerError):
    condition, status = "com.microsoft:message-lock-lost", 410


class MessageNotFoundError(BrokerError):
    condition, status = "com.microsoft:message-not-found", 404


class ArgumentError(BrokerError):
    condition, status = "com.microsoft:argument-error", 400


class OutOfRangeError(BrokerError):
    condition, status = "com.microsoft:argument-out-of-range", 400


class ResourceLimitError(BrokerError):
    condition, status = "amqp:resource-limit-exceeded", 403


class ServerBusyError(BrokerError):
    """Only where a test asks for it (`broker/faults.py`)."""

    condition, status = "com.microsoft:server-busy", 503


class LinkStolenError(BrokerError):
    condition, status = "amqp:link:stolen", 409


class StartError(Exception):
    """The broker cannot start; the text is one line that says what to do."""

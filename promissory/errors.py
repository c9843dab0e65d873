"""Errors of this package.

Each class names one kind of mistake, and its message says what happened, where, and the way out.
"""

from typing import TYPE_CHECKING

from promissory._lazy import lazily
from promissory._names import ERRORS

if TYPE_CHECKING:
    from promissory.executor.errors import AwaitsExceeded as AwaitsExceeded
    from promissory.executor.errors import BranchFailed as BranchFailed
    from promissory.executor.errors import CodeChanged as CodeChanged
    from promissory.executor.errors import CodeMismatch as CodeMismatch
    from promissory.executor.errors import CodeNotFound as CodeNotFound
    from promissory.executor.errors import CommandRefused as CommandRefused
    from promissory.executor.errors import CursorGone as CursorGone
    from promissory.executor.errors import DepthExceeded as DepthExceeded
    from promissory.executor.errors import DoesNotFit as DoesNotFit
    from promissory.executor.errors import EngineError as EngineError
    from promissory.executor.errors import ExecutorError as ExecutorError
    from promissory.executor.errors import Fenced as Fenced
    from promissory.executor.errors import FuturesTooLarge as FuturesTooLarge
    from promissory.executor.errors import GateNotFound as GateNotFound
    from promissory.executor.errors import GateTimeout as GateTimeout
    from promissory.executor.errors import InputError as InputError
    from promissory.executor.errors import ItemsExceeded as ItemsExceeded
    from promissory.executor.errors import IterationLimitExceeded as IterationLimitExceeded
    from promissory.executor.errors import JournalError as JournalError
    from promissory.executor.errors import LimitExceeded as LimitExceeded
    from promissory.executor.errors import NobodyToAsk as NobodyToAsk
    from promissory.executor.errors import NodesExceeded as NodesExceeded
    from promissory.executor.errors import NonDeterminism as NonDeterminism
    from promissory.executor.errors import NoProgress as NoProgress
    from promissory.executor.errors import NotInStore as NotInStore
    from promissory.executor.errors import NoValue as NoValue
    from promissory.executor.errors import OutputUnavailable as OutputUnavailable
    from promissory.executor.errors import Rejected as Rejected
    from promissory.executor.errors import RemoteError as RemoteError
    from promissory.executor.errors import ResourcesUnavailable as ResourcesUnavailable
    from promissory.executor.errors import RunCancelled as RunCancelled
    from promissory.executor.errors import RunExists as RunExists
    from promissory.executor.errors import RunFailed as RunFailed
    from promissory.executor.errors import RunInterrupted as RunInterrupted
    from promissory.executor.errors import RunIsLive as RunIsLive
    from promissory.executor.errors import RunIsNotLive as RunIsNotLive
    from promissory.executor.errors import RunNotFound as RunNotFound
    from promissory.executor.errors import RunStalled as RunStalled
    from promissory.executor.errors import RunTimeout as RunTimeout
    from promissory.executor.errors import SignalRefused as SignalRefused
    from promissory.executor.errors import StoreDamage as StoreDamage
    from promissory.executor.errors import StoreError as StoreError
    from promissory.executor.errors import StoreNotFound as StoreNotFound
    from promissory.executor.errors import TaskTimeout as TaskTimeout
    from promissory.executor.errors import TaskTypeError as TaskTypeError
    from promissory.executor.errors import UnequalLengths as UnequalLengths
    from promissory.executor.errors import UnsafeStore as UnsafeStore
    from promissory.executor.errors import UnsupportedStore as UnsupportedStore
    from promissory.executor.errors import WorkerLost as WorkerLost
    from promissory.executor.errors import WorkflowCancelled as WorkflowCancelled
    from promissory.planner.errors import ArgumentValueError as ArgumentValueError
    from promissory.planner.errors import AwaitError as AwaitError
    from promissory.planner.errors import BranchError as BranchError
    from promissory.planner.errors import CompileError as CompileError
    from promissory.planner.errors import CompileErrors as CompileErrors
    from promissory.planner.errors import ContextError as ContextError
    from promissory.planner.errors import CycleError as CycleError
    from promissory.planner.errors import DecorationError as DecorationError
    from promissory.planner.errors import DuplicateName as DuplicateName
    from promissory.planner.errors import EdgeTypeError as EdgeTypeError
    from promissory.planner.errors import GateError as GateError
    from promissory.planner.errors import JumpsBack as JumpsBack
    from promissory.planner.errors import LeakedPromise as LeakedPromise
    from promissory.planner.errors import MapError as MapError
    from promissory.planner.errors import NestedCallError as NestedCallError
    from promissory.planner.errors import NoEffectWarning as NoEffectWarning
    from promissory.planner.errors import OrderCycle as OrderCycle
    from promissory.planner.errors import OverrideError as OverrideError
    from promissory.planner.errors import PlanError as PlanError
    from promissory.planner.errors import PlanFormatError as PlanFormatError
    from promissory.planner.errors import PromiseAttributeError as PromiseAttributeError
    from promissory.planner.errors import PromiseError as PromiseError
    from promissory.planner.errors import SignalError as SignalError
    from promissory.planner.errors import StaticRecursion as StaticRecursion
    from promissory.planner.errors import UnknownTarget as UnknownTarget
    from promissory.planner.errors import UnreachableNode as UnreachableNode
    from promissory.planner.errors import WrongCall as WrongCall
    from promissory.typesys.errors import AnnotationError as AnnotationError
    from promissory.typesys.errors import FormatError as FormatError
    from promissory.typesys.errors import NotTrusted as NotTrusted
    from promissory.typesys.errors import OpaqueWarning as OpaqueWarning
    from promissory.typesys.errors import ParseError as ParseError
    from promissory.typesys.errors import TypeMismatch as TypeMismatch
    from promissory.typesys.errors import UncachedContentWarning as UncachedContentWarning
    from promissory.typesys.errors import UntypedWarning as UntypedWarning

__all__ = [
    "AnnotationError",
    "ArgumentValueError",
    "AwaitError",
    "AwaitsExceeded",
    "BranchError",
    "BranchFailed",
    "CodeChanged",
    "CodeMismatch",
    "CodeNotFound",
    "CommandRefused",
    "CompileError",
    "CompileErrors",
    "ContextError",
    "CursorGone",
    "CycleError",
    "DecorationError",
    "DepthExceeded",
    "DoesNotFit",
    "DuplicateName",
    "EdgeTypeError",
    "EngineError",
    "ExecutorError",
    "Fenced",
    "FormatError",
    "FuturesTooLarge",
    "GateError",
    "GateNotFound",
    "GateTimeout",
    "InputError",
    "ItemsExceeded",
    "IterationLimitExceeded",
    "JournalError",
    "JumpsBack",
    "LeakedPromise",
    "LimitExceeded",
    "MapError",
    "NestedCallError",
    "NoEffectWarning",
    "NoProgress",
    "NoValue",
    "NobodyToAsk",
    "NodesExceeded",
    "NonDeterminism",
    "NotInStore",
    "NotTrusted",
    "OpaqueWarning",
    "OrderCycle",
    "OutputUnavailable",
    "OverrideError",
    "ParseError",
    "PlanError",
    "PlanFormatError",
    "PromiseAttributeError",
    "PromiseError",
    "Rejected",
    "RemoteError",
    "ResourcesUnavailable",
    "RunCancelled",
    "RunExists",
    "RunFailed",
    "RunInterrupted",
    "RunIsLive",
    "RunIsNotLive",
    "RunNotFound",
    "RunStalled",
    "RunTimeout",
    "SignalError",
    "SignalRefused",
    "StaticRecursion",
    "StoreDamage",
    "StoreError",
    "StoreNotFound",
    "TaskTimeout",
    "TaskTypeError",
    "TypeMismatch",
    "UncachedContentWarning",
    "UnequalLengths",
    "UnknownTarget",
    "UnreachableNode",
    "UnsafeStore",
    "UnsupportedStore",
    "UntypedWarning",
    "WorkerLost",
    "WorkflowCancelled",
    "WrongCall",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(globals(), ERRORS)

"""The words of reports of OpenADR 2.0b. They are open: others begin with ``x-``."""

from __future__ import annotations

from enum import StrEnum


class ReportName(StrEnum):
    """Kinds of reports; what is said of one that can be had begins with ``METADATA_`` (B-RPT-002)."""

    HISTORY_USAGE = "HISTORY_USAGE"
    HISTORY_GREENBUTTON = "HISTORY_GREENBUTTON"
    TELEMETRY_USAGE = "TELEMETRY_USAGE"
    TELEMETRY_STATUS = "TELEMETRY_STATUS"


METADATA = "METADATA_"


class ReportType(StrEnum):
    """Name what a reported value is."""

    READING = "reading"
    USAGE = "usage"
    DEMAND = "demand"
    SET_POINT = "setPoint"
    DELTA_USAGE = "deltaUsage"
    DELTA_SET_POINT = "deltaSetPoint"
    DELTA_DEMAND = "deltaDemand"
    BASELINE = "baseline"
    DEVIATION = "deviation"
    AVG_USAGE = "avgUsage"
    AVG_DEMAND = "avgDemand"
    OPERATING_STATE = "operatingState"
    UP_REGULATION_CAPACITY_AVAILABLE = "upRegulationCapacityAvailable"
    DOWN_REGULATION_CAPACITY_AVAILABLE = "downRegulationCapacityAvailable"
    REGULATION_SETPOINT = "regulationSetpoint"
    STORED_ENERGY = "storedEnergy"
    TARGET_ENERGY_STORAGE = "targetEnergyStorage"
    AVAILABLE_ENERGY_STORAGE = "availableEnergyStorage"
    PRICE = "price"
    LEVEL = "level"
    POWER_FACTOR = "powerFactor"
    PERCENT_USAGE = "percentUsage"
    PERCENT_DEMAND = "percentDemand"
    RESOURCE_STATUS = "x-resourceStatus"


class ReadingType20b(StrEnum):
    """Describe how a reported value was obtained."""

    DIRECT_READ = "Direct Read"
    NET = "Net"
    ALLOCATED = "Allocated"
    ESTIMATED = "Estimated"
    SUMMED = "Summed"
    DERIVED = "Derived"
    MEAN = "Mean"
    PEAK = "Peak"
    HYBRID = "Hybrid"
    CONTRACT = "Contract"
    PROJECTED = "Projected"
    RMS = "x-RMS"
    NOT_APPLICABLE = "x-notApplicable"

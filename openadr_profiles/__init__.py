"""The languages OpenADR Fleet speaks: data, rules and arithmetic. No I/O, no clock, no framework, no database."""

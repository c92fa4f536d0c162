// Package faults breaks what is between goslo and its broker, and the broker itself, under load, and prints a table
// of what was seen against what is promised.
//
// Everything but this comment is tests, most with the build tag integration:
//
//	make faults                          every row, at full length; RabbitMQ is found as package broker finds it
//	make faults FAULTS="tcp-reset kill"  rows whose names begin so
//	make faults-short                    the short form, in a minute, which make test ends with
//	make soak MINUTES=10                 random faults from a seed, which is printed; SEED repeats one
//
// A row is a [fault]: what breaks, how it is mended, and checks that note one [promise] each. What is promised of
// every row is in common_test.go, and most of that is read from the [history] of every call, cast and fanout: when it
// was sent, confirmed, run and answered.
package faults

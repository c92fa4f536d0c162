// Package proof runs the scheduler's services as their operator does, real processes of the built program on a real RabbitMQ,
// takes workers and whole services away under load, and prints what that has cost.
//
// Everything but this comment is tests, most with the build tag integration:
//
//	make proof             all rows once, in half a minute, which make test ends with
//	make proof ROUNDS=20   all rows twenty times, added up
//
// Each operation has an id, with which callers note what became of it and servers log that they run it: so the table tells what
// was sent, answered, failed and run twice, and of a process that was killed, what it had in its hands.
package proof

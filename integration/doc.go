// Package integration tests goslo against a real RabbitMQ and a real Python oslo.messaging, in both directions.
//
// Everything but this comment is tests with the build tag integration:
//
//	scripts/test-env.sh go test -race -tags integration ./integration/...
//
// Package broker finds the broker. The Python peers are scripts in testdata, run by GOSLO_PYTHON or else by
// /usr/bin/python3; they talk to the tests in lines of JSON. With GOSLO_REQUIRE_BROKER=1 a test that lacks
// one of the two fails, else it is skipped and says why.
package integration

// Package integration tests goslo against a real RabbitMQ and a real Python oslo.messaging, in both directions.
//
// Everything but this comment is tests with the build tag integration:
//
//	scripts/test-env.sh go test -race -tags integration ./integration/...
//
// Package broker finds the broker. The Python peers are scripts in testdata, which talk to the tests in lines of
// JSON. Tests with a peer run once for each release of oslo.messaging, as subtests named for its version: 14.0 of
// Debian 12, 16.1 of Debian 13, and the one of GOSLO_PYTHON (or else of /usr/bin/python3) if that is another. What
// this interpreter does not have comes from GOSLO_OSLO_BOOKWORM and GOSLO_OSLO_TRIXIE: a container image, or the
// absolute path of a root file system, which scripts/oslo-image.sh makes.
//
// With GOSLO_REQUIRE_BROKER=1 a test that lacks its broker or its peer fails, else it is skipped and says why.
// Where the machine cannot have a release, GOSLO_OSLO_TRIXIE_MISSING (or ..._BOOKWORM_MISSING) holds the reason and
// its tests are skipped in any case.
package integration

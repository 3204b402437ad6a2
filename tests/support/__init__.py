"""What the tests share: real servers, free ports and waiting for facts. Nothing here is shipped."""

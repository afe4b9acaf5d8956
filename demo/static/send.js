"use strict";
document.getElementById("send").submit();
